"""The `gshare` command."""
