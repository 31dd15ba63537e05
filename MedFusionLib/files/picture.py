"""Single slices as PNG, JPEG or TIFF pictures, by Pillow.

Pictures carry no place: a pixel is one millimeter, the columns run to the patient's left, the rows to the back, as an
axial slice is shown. A resolution in the file is that of print and is ignored.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from MedFusionLib.errors import DataError, FileError
from MedFusionLib.files.formats import LPS_TO_RAS
from MedFusionLib.volume import Volume

if TYPE_CHECKING:
    from PIL.Image import Image


def read_picture(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (K, J, I) or (K, J, I, C) and the RAS affine of a picture; the K pages of a TIFF are slices 1 mm apart.

    Args:
        path: PNG, JPEG or TIFF.

    Raises:
        FileError: if it is no picture, damaged or truncated.
        DataError: if it has 16-bit or CMYK color, or pages that differ in size or kind.
    """
    from PIL import Image, ImageSequence

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # of a truncated TIFF, Pillow only warns
            with Image.open(path) as picture:
                pages = [_pixels(page, path) for page in ImageSequence.Iterator(picture)]
    except (OSError, SyntaxError, UserWarning, Image.DecompressionBombError) as error:
        raise FileError(f"Picture {path}", found=f"{error}", fix="It is damaged or of another format") from error
    kinds = sorted({f"{page.shape[1]} x {page.shape[0]} of {page.dtype}" for page in pages})
    if len(kinds) > 1 or len({page.shape for page in pages}) > 1:
        raise DataError(f"Pages of {path}", found=" and ".join(kinds), accepted="pages of one size and one kind")
    return np.stack(pages), LPS_TO_RAS.copy()


def _pixels(page: Image, path: Path) -> np.ndarray:
    modes = {"1": "L", "P": "RGBA" if "transparency" in page.info else "RGB", "PA": "RGBA"}
    # Pillow shortens 16-bit color to 8 bits without a word; only the layout of the file on disk tells.
    deep = page.mode in ("RGB", "RGBA", "LA") and any("16" in str(tile[3]) for tile in getattr(page, "tile", ()))
    if deep or page.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        raise DataError(
            f"Picture {path}",
            found=f"{'16-bit ' if deep else ''}{page.mode} color",
            accepted="gray of any depth, or 8-bit RGB",
            fix="Save it as 8-bit RGB, or as gray",
        )
    page.load()
    return np.asarray(page.convert(modes[page.mode]) if page.mode in modes else page)


def write_picture(volume: Volume, path: Path) -> None:
    """Write one slice as 8-bit PNG, JPEG or TIFF: color as it is, gray with [0, 1] -> 0..255. Its place is lost.

    Args:
        volume: K = 1; gray values in [0, 1].
        path: where to; what stands there is overwritten.

    Raises:
        FileError: if there is more than one slice.
        DataError: if gray values leave [0, 1].
    """
    from PIL import Image

    if volume.grid.shape[0] != 1:
        raise FileError(
            f"Picture {path.name}",
            found=f"{volume.grid.shape[0]} slices",
            accepted="one slice",
            fix="Save the volume as .nii.gz, .nrrd or .mha, or save one slice of it",
        )
    pixels = volume.array[0]
    if not volume.is_color:
        if not (pixels.min() >= 0 and pixels.max() <= 1):
            raise DataError(
                f"Picture {path.name}",
                found=f"values {pixels.min():g} to {pixels.max():g} {volume.unit}",
                accepted="finite values in [0, 1]",
                fix="Apply a Window first, or save as .nii.gz, .nrrd or .mha, which keep all values",
            )
        pixels = np.rint(pixels * 255).astype(np.uint8)
    # Only JPEG looks at these two: the least loss it offers.
    Image.fromarray(pixels).save(path, quality=95, subsampling=0)
