"""The player: a drive that is played, watched and steered while it plays."""
