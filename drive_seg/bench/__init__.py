"""The benchmark: what is measured of a run, and of the machine meanwhile."""
