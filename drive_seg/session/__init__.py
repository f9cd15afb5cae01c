"""One run: a source, its pipelines, sinks and observers, and the one loop that takes frames through them.

session     the frame loop; headless, benchmark, evaluation and sweep iterate it, a window steers it
cameras     several sessions in one loop: whose frame comes next, and what becomes of a camera that fails
player      what a window asks of the session that it shows, and what that says of itself (status)
steered     that session, in a thread of its own: frames, between two of them commands, and what fails is lived with
current     the source that it plays, exchanged or waited for while it runs
live        a pipeline that is exchanged while it runs; comparison has a second one
rack        several cameras in a thread of their own, for a window
compose     the picture of a frame that a window or a page shows
lookout     watches the road ahead, in the corridor that was set for the source (corridors); road draws it
auto        chooses bundle, schedule, mode and propagation by timing this machine
spare       what a schedule would have spared of a run that refreshes on every frame
opening     from settings to what a session is made of
"""
