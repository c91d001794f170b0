"""The embedded sample: synthetic scenes of known content, laid out as the real releases are.

Nothing in it is real data. It lets every step run where no release is at hand, through the code
that reads the releases themselves.
"""

from pathlib import Path

from tqdm import tqdm

from rs_gpt4v_builders.sample.releases.dior import dior
from rs_gpt4v_builders.sample.releases.dior_rsvg import dior_rsvg, rs_gpt4v_instruct
from rs_gpt4v_builders.sample.releases.nwpu_captions import nwpu_captions, rsitmd, sydney_captions
from rs_gpt4v_builders.sample.releases.rsivqa import floodnet, rsivqa
from rs_gpt4v_builders.sample.releases.rsvqa import rsicd, rsvqa_hr, rsvqa_lr, ucm_captions

_WRITERS = (
    nwpu_captions,
    rsicd,
    rsitmd,
    sydney_captions,
    ucm_captions,
    rsvqa_lr,
    rsvqa_hr,
    floodnet,
    rsivqa,  # asks about images of RSICD, Sydney-Captions and UCM-Captions
    dior_rsvg,
    rs_gpt4v_instruct,  # talks about images of DIOR-RSVG
    dior,  # has the images of DIOR-RSVG
)


def write_sample(root: Path, seed: int = 0, *, scale: float = 1.0) -> None:
    """Write every release's folder into ``root``, ``HRRSD`` and ``DOTA`` for RSIVQA included.

    Args:
        root: The folder to fill; created where it does not exist.
        seed: The same seed gives the same bytes.
        scale: The share of the sample's images to make; every split keeps at least one.
    """
    for write in tqdm(_WRITERS, desc="Drawing the synthetic sample", unit="release", leave=False):
        write(root, seed, scale)
