# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""``photocast sample``: a capture to try things with, and its exact truth."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from photocast.cli.device import Device, chosen_device

__all__ = ["sample"]


class SampleLight(str, Enum):
    """The built-in lights."""

    studio = "studio"
    sky = "sky"
    sunset = "sunset"


def sample(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="New folder for the capture.")],
    views: Annotated[int, typer.Option(help="Photos for reconstruction.")] = 32,
    test_views: Annotated[int, typer.Option(help="Photos held out for evaluation.")] = 8,
    size: Annotated[int, typer.Option(help="Width and height of a photo [px].")] = 256,
    samples: Annotated[
        int, typer.Option(help="Camera rays per pixel, a power of two; more is smoother.")
    ] = 32,
    depth: Annotated[
        bool, typer.Option("--depth/--no-depth", help="Also write depth maps [mm].")
    ] = False,
    light: Annotated[SampleLight, typer.Option(help="The light it stands in.")] = (
        SampleLight.studio
    ),
    device: Annotated[Device, typer.Option(help="Where to render.")] = Device.auto,
    seed: Annotated[int, typer.Option(help="Same seed, same files.")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Photograph a toy rocket from all sides, to try Photocast with.

    Example: `photocast sample rocket/ && photocast reconstruct rocket/ --out result/`

    The folder holds RGBA photos with their cameras (transforms_train.json), held-out photos
    (transforms_test.json), and the truth: the mesh with its base colour, the light, and sample.json
    with every setting. Afterwards, `photocast evaluate result/ --capture rocket/` tells how close
    you came.
    """
    from photocast.cli.interrupt import cancellable
    from photocast.cli.progress_bar import progress_for
    from photocast.config import SampleConfig
    from photocast.stages.sample import make_sample

    config = SampleConfig(
        view_count=views,
        test_view_count=test_views,
        size=size,
        sample_count=samples,
        depth=depth,
        light=light.value,
        seed=seed,
    )
    with progress_for(quiet=quiet) as bars, cancellable(bars) as progress:
        make_sample(out, config, device=chosen_device(device), progress=progress)
    typer.echo(f"{out}: {views} photos and {test_views} for testing, {size}x{size} px.")
