"""One run: a source, its pipelines, sinks and observers, and the one loop that takes frames through them.

session     the frame loop; headless, benchmark, evaluation and sweep iterate it, a window steers it
player      what a window asks of the session that it shows, and what that says of itself (status)
steered     that session, in a thread of its own: frames, between two of them commands, and what fails is lived with
current     the source that it plays, exchanged or waited for while it runs
live        a pipeline that is exchanged while it runs; comparison has a second one
lookout     watches the road ahead, in the corridor that was set for the source (corridors); road draws it
spare       what a schedule would have spared of a run that refreshes on every frame
opening     from settings to what a session is made of
"""
