"""Damaged and lying FITS files, as hypothesis strategies."""

from dataclasses import dataclass, field

import numpy as np
from astropy.io import fits
from hypothesis import strategies as st


@dataclass(frozen=True)
class Mutation:
    """What is done to a good file; `harmless` where the products must come out as if nothing had been done."""

    kind: str
    place: float = 0.0
    value: object = None
    name: str = ""
    harmless: bool = False
    extra: dict = field(default_factory=dict)

    def apply(self, source, target):
        getattr(self, f"_{self.kind}")(source, target)

    def _truncate(self, source, target):
        data = source.read_bytes()
        target.write_bytes(data[: int(len(data) * self.place)])

    def _flip_bits(self, source, target):
        data = bytearray(source.read_bytes())
        generator = np.random.default_rng(int(self.place * 1e9))
        low, high = self.value
        for position in generator.integers(int(len(data) * low), max(int(len(data) * high), 2880), 20):
            data[position] ^= 1 << generator.integers(8)
        target.write_bytes(data)

    def _zero_block(self, source, target):
        data = bytearray(source.read_bytes())
        start = int(len(data) * self.place) // 2880 * 2880
        data[start : start + 2880] = bytes(2880)
        target.write_bytes(data[: len(source.read_bytes())])

    def _set_keyword(self, source, target):
        with fits.open(source) as hdus:
            for hdu in hdus[:2]:
                if self.name in hdu.header:
                    hdu.header[self.name] = self.value
            hdus.writeto(target, output_verify="ignore")

    def _delete_keyword(self, source, target):
        with fits.open(source) as hdus:
            for hdu in hdus[:2]:
                if self.name in hdu.header:
                    del hdu.header[self.name]
            hdus.writeto(target, output_verify="ignore")

    def _reshape(self, source, target):
        with fits.open(source) as hdus:
            data = hdus["SCI"].data
            shaped = {
                "one group less": data[:, :-1],
                "one integration less": data[:-1],
                "no integrations": data[:0],
                "one group": data[:, :1],
                "a cube": data[0],
                "an image": data[0, 0],
                "fewer rows": data[:, :, :100],
                "fewer columns": data[..., :40],
                "more columns": np.concatenate([data, data], axis=3),
                "swapped axes": data.swapaxes(2, 3),
                "five axes": data[None],
            }[self.value]
            hdus["SCI"].data = np.ascontiguousarray(shaped)
            hdus.writeto(target)

    def _retype(self, source, target):
        with fits.open(source) as hdus:
            hdus["SCI"] = fits.ImageHDU(hdus["SCI"].data.astype(self.value), name="SCI")
            hdus.writeto(target)

    def _fill(self, source, target):
        """Floats with NaN or infinities in one integration, or everywhere."""
        with fits.open(source) as hdus:
            data = hdus["SCI"].data.astype(np.float32)
            data[self.extra["part"]] = self.value
            hdus["SCI"] = fits.ImageHDU(data, name="SCI")
            hdus.writeto(target)

    def _drop_extension(self, source, target):
        with fits.open(source) as hdus:
            fits.HDUList([hdu for hdu in hdus if hdu.name != self.name]).writeto(target)

    def _replace(self, source, target):
        target.write_bytes(self.value)


SHAPES = (
    "one group less",
    "one integration less",
    "no integrations",
    "one group",
    "a cube",
    "an image",
    "fewer rows",
    "fewer columns",
    "more columns",
    "swapped axes",
    "five axes",
)
LIES = (
    ("INSTRUME", ("NIRCAM", "", "MIRII", 5)),
    ("EXP_TYPE", ("MIR_IMAGE", "", "MIR_LRS-FIXEDSLIT")),
    ("NGROUPS", (0, 1, 7, 1000, -3, "ten")),
    ("NINTS", (0, 1, 1000, -3)),
    ("INTSTART", (0, 2, 1000, -5)),
    ("INTEND", (0, 1, 100)),
    ("SUBARRAY", ("FULL", "SUB64", "")),
    ("SUBSTRT2", (1, 1000, -1)),
    ("SUBSIZE2", (10, 1024)),
    ("READPATT", ("SLOWR1", "NONSENSE")),
    ("TGROUP", (0.0, -1.0)),
    ("NFRAMES", (0, 100)),
    ("DETECTOR", ("NRCB4", "MIRIFULONG")),
    ("FILTER", ("F1500W", "")),
    ("DATAMODL", ("CubeModel", "ImageModel", "NoModel", "")),
    ("TELESCOP", ("HST", "")),
    ("EXPSTART", (0.0, -1.0)),
)


@st.composite
def lies(draw):
    name, values = draw(st.sampled_from(LIES))
    return Mutation("set_keyword", name=name, value=draw(st.sampled_from(values)))


PARTS = st.sampled_from([slice(None), slice(0, 1), (slice(None), slice(2, 3)), (slice(None),) * 2 + (slice(0, 200),)])

mutations = st.one_of(
    st.builds(Mutation, st.just("truncate"), st.floats(0, 0.999)),
    st.builds(Mutation, st.just("flip_bits"), st.floats(0, 1), st.just((0.0, 0.004))),  # headers
    st.builds(Mutation, st.just("flip_bits"), st.floats(0, 1), st.just((0.01, 0.9))),  # counts
    st.builds(Mutation, st.just("flip_bits"), st.floats(0, 1), st.just((0.97, 1.0))),  # tables, ASDF
    st.builds(Mutation, st.just("zero_block"), st.floats(0, 0.999)),
    lies(),
    st.builds(Mutation, st.just("delete_keyword"), name=st.sampled_from([name for name, _ in LIES])),
    st.builds(Mutation, st.just("reshape"), value=st.sampled_from(SHAPES)),
    st.builds(Mutation, st.just("retype"), value=st.sampled_from(["uint8", "int32", "float32", "float64"])),
    st.builds(
        Mutation,
        st.just("fill"),
        value=st.sampled_from([np.nan, np.inf, -np.inf, -1e30, 65535.0, 0.0]),
        extra=st.fixed_dictionaries({"part": PARTS}),
    ),
    st.builds(Mutation, st.just("drop_extension"), name=st.sampled_from(["SCI", "INT_TIMES", "ASDF", "GROUP"])),
    st.builds(
        Mutation,
        st.just("replace"),
        value=st.sampled_from([b"", b"SIMPLE", b"\x00" * 5000, b"not a FITS file\n" * 100, b"PK\x03\x04" * 900]),
    ),
)
