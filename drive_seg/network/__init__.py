"""A frame's way through a network, from its picture to class ids.

pipeline                  READ FIRST: one frame after the other
preprocess, postprocess   the picture at the network's size; class ids at the picture's
card, engine              a bundle, and its stages on a backend
foreign                   any other ONNX file as an engine
cache, schedule           what is kept of key frames, and on which frames it is renewed
refresh                   where that happens: on the frame, or beside it
propagate                 the kept context propagated to a later frame
ahead                     what labels say of the road in front of the car
score                     how well labels agree with true ones
"""
