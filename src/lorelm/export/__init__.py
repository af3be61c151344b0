"""A trained model for other places: a static web site."""
