"""Many drives: a folder of them, labelled by several processes or a cluster, so that it may be killed at any moment and goes on.

drives      which files, where their results go, and where a long one may be cut
records     what lies in the output folder
labelling   one worker's work: look at a file, label a piece of it, put its pieces together
workers     processes of this machine, or Ray's actors
batch       which work is next, and what came of it
manifest    everything as Parquet
"""
