"""A scan's probabilities by sliding window: ours and MONAI's, same network, windows and blending."""

import numpy as np
import torch
from monai.inferers import sliding_window_inference
from peers import compare

import lesionlab
from lesionlab.core.recipe import Inference
from lesionlab.engine.inference import predict_probabilities

WINDOW = (128, 128)


def main() -> None:
    """Write results/predict_one_scan.json."""
    network = lesionlab.build_network(
        "synapse_net", modalities=2, regions=1, widths=[8, 16, 24, 32, 48], token_channels=48, heads=4
    ).eval()
    image = np.random.default_rng(0).standard_normal((2, 160, 192, 16), dtype=np.float32)

    def ours() -> np.ndarray:
        settings = Inference(overlap=0.5, batch=4)
        return predict_probabilities(network, image, window=WINDOW, background=(0.0, 0.0), settings=settings)

    def peer() -> torch.Tensor:
        slices = torch.from_numpy(np.ascontiguousarray(np.moveaxis(image, -1, 0)))
        with torch.inference_mode():
            logits = sliding_window_inference(
                slices, WINDOW, 4, lambda batch: network(batch).logits, overlap=0.5, mode="gaussian"
            )
        return torch.sigmoid(logits)

    difference = np.abs(np.moveaxis(ours(), -1, 0) - peer().numpy()).max()
    assert difference < 1e-4, difference
    compare("predict one scan", ours, peer=peer, peer_name="MONAI's sliding_window_inference", rounds=3)


if __name__ == "__main__":
    main()
