"""One run: a source, its pipelines, sinks and observers, and the one loop that takes frames through them.

session     the frame loop; headless, benchmark, evaluation and sweep iterate it, a window steers it
player      a session steered while it runs, in a thread of its own: its commands, and what it says of itself
live        a pipeline that is exchanged while it runs
lookout     watches the road ahead, in the corridor that was set for the source (corridors)
opening     from settings to what a session is made of
"""
