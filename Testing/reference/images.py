"""Test triplets (A, B, F) for metrics: uint8, made by integer arithmetic alone, so the same on every machine.

All randomness comes from numpy.random.default_rng(0).integers(...), drawn in the order below.
"""

import hashlib

import numpy as np


def _lattice_noise(rng, h, w, step=16):
    """Smooth noise: random integer lattice, bilinear interpolation in pure integer arithmetic."""
    g = rng.integers(0, 256, size=(h // step + 2, w // step + 2), dtype=np.int64)
    y, x = np.mgrid[0:h, 0:w]
    j, i, fy, fx = y // step, x // step, y % step, x % step
    s = (
        g[j, i] * (step - fy) * (step - fx)
        + g[j, i + 1] * (step - fy) * fx
        + g[j + 1, i] * fy * (step - fx)
        + g[j + 1, i + 1] * fy * fx
    )
    return (s + step * step // 2) // (step * step)


def _ellipse(h, w, cy, cx, ry, rx):
    y, x = np.mgrid[0:h, 0:w]
    return ((y - cy) ** 2) * rx * rx + ((x - cx) ** 2) * ry * ry <= (rx * rx) * (ry * ry)


def _phantom(h, w, tex):
    """(CT-like, MR-like) head on an exactly black background."""
    head = _ellipse(h, w, h // 2, w // 2, (h * 44) // 100, (w * 42) // 100)
    brain = _ellipse(h, w, h // 2, w // 2, (h * 38) // 100, (w * 36) // 100)
    vent = _ellipse(h, w, (h * 45) // 100, (w * 43) // 100, h // 12, w // 24) | _ellipse(
        h, w, (h * 45) // 100, (w * 57) // 100, h // 12, w // 24
    )
    lesion = _ellipse(h, w, (h * 62) // 100, (w * 62) // 100, h // 14, w // 16)
    ct = np.zeros((h, w), np.int64)
    ct[head] = 255
    ct[brain] = 70 + tex[brain] // 16
    ct[vent] = 40
    ct[lesion] = 110
    mr = np.zeros((h, w), np.int64)
    mr[head] = 50
    mr[brain] = 60 + tex[brain] // 2
    mr[vent] = 20
    mr[lesion] = 215
    return ct, mr


def _box5(a):
    p = np.pad(a, 2, mode="edge")
    h, w = a.shape
    s = sum(p[i : i + h, j : j + w] for i in range(5) for j in range(5))
    return (s + 12) // 25


def _mean(a, b):
    return (a + b + 1) // 2


def make_cases(h=192, w=176):
    rng = np.random.default_rng(0)
    s1 = _lattice_noise(rng, h, w)
    s2 = _lattice_noise(rng, h, w)
    tex = _lattice_noise(rng, h, w, step=8)
    n1, n2, n3 = (rng.integers(0, 256, size=(h, w), dtype=np.int64) for _ in range(3))
    jit = rng.integers(-20, 21, size=(h, w), dtype=np.int64)
    y, x = np.mgrid[0:h, 0:w]
    ramp = (255 * x + (w - 1) // 2) // (w - 1)
    chk = 32 + 192 * ((x // 16 + y // 16) & 1)
    ct, mr = _phantom(h, w, tex)
    pav = _mean(ct, mr)
    zero, flat = np.zeros((h, w), np.int64), np.full((h, w), 100, np.int64)
    c = {
        "smooth_avg": (s1, s2, _mean(s1, s2)),
        "smooth_max": (s1, s2, np.maximum(s1, s2)),
        "smooth_neg": (s1, s2, 255 - _mean(s1, s2)),
        "ramp_chk_avg": (ramp, chk, _mean(ramp, chk)),
        "phantom_avg": (ct, mr, pav),
        "phantom_max": (ct, mr, np.maximum(ct, mr)),
        "phantom_copyA": (ct, mr, ct),
        "phantom_noise": (ct, mr, np.clip(pav + jit, 0, 255)),
        "phantom_stretch": (ct, mr, np.clip((pav * 3) // 2, 0, 255)),
        "phantom_dim": (ct, mr, pav // 2),
        "phantom_blur": (ct, mr, _box5(pav)),
        "noise_indep": (n1, n2, n3),
        "identical_smooth": (s1, s1, s1),
        "identical_phantom": (ct, ct, ct),
        "one_zero_source": (ct, zero, ct),
        "flat_fused": (s1, s2, np.full((h, w), 128, np.int64)),
        "flat_all": (flat, flat, flat),
        "zeros_all": (zero, zero, zero),
    }
    ho, wo = h - 11, w - 13  # odd-size case: 181 x 163 for the default h, w
    c["phantom_odd"] = tuple(im[:ho, :wo] for im in (ct, mr, np.maximum(ct, mr)))
    return {k: tuple(np.ascontiguousarray(im).astype(np.uint8) for im in v) for k, v in c.items()}


def digest(a):
    return hashlib.sha256(np.ascontiguousarray(a).tobytes()).hexdigest()
