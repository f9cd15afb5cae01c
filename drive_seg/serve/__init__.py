"""A run that is watched and steered from elsewhere: one page, and what programs ask of a service. The only code that serves anything.

server      the thread that serves, as long as its player plays
address     where it listens; refused before anything else of a run is opened
guard       who may ask
routes      what can be asked for
live        the newest frame, and who watches
viewer      one page that is open somewhere: the newest picture whenever it can take one, and what is asked for there
told        what a page is told of the run beside the picture
metrics     the same for Prometheus
page/       the page itself
"""
