"""What gpu-check compares runs in torch too."""

import pytest

torch = pytest.importorskip("torch", reason="the GPU check needs torch: pip install 'drive-seg[lab]'")
torch.set_num_threads(1)  # the networks here are tiny: more threads only wait for each other
