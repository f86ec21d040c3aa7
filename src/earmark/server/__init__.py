"""The HTTP face: an API for builders and the page for people, over the same functions as the command line."""
