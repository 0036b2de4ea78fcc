"""What a search is asked to do: its config, the presets, and how both become complete."""
