"""Executes stages on an NVIDIA GPU with TensorRT 10, TensorRT 11 or TensorRT for RTX, behind one interface.

flavour     which TensorRT there is, told by what it can do and not by its number
typed       a stage's ONNX with every type written out: fp16, int8, fp8
reduce      the reduction of frames, written in front of a stage
build       ONNX to an engine's bytes, and what precision it came to
store       the user's cache folder: what was built, and whether it may still be run
provider    an engine from the store, or built
ahead       the same as a Backend whose stages are not loaded
cuda        the driver's calls that are needed, and which GPU there is
adapters    who makes these calls: cuda_bindings or pycuda
inspector   what a loaded engine says of its layers
paint       labels over a frame, as an engine
runtime     one engine with its stream, its buffers and its CUDA graph
beside      one that is fed on the GPU, started and polled
backend     all of it as a Backend (contracts.py)
"""
