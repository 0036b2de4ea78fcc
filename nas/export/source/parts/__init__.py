"""Classes and functions that exported files carry word for word: only torch and nothing of ours."""
