"""The inspector's pages: what nobody sees in the picture."""
