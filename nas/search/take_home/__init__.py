"""Taking a network home: its weights, what is known of it, and training it for good.

A trial of a search has weights from up to three places. Which ones are taken is decided here, by
where they come from and never by what they score on test images, and it is always said.
"""
