"""The benchmark: what is measured of a run, and of the machine meanwhile.

measure, tally, machine     one run, its frames, and the machine beneath it; all that `run --benchmark` needs
matrix                      several configurations in turns
compare                     two earlier measurements
report, plot, blocks        a matrix as Markdown and HTML, and in a document's tables
gpu                         `gpu-check`
"""
