"""Values as JSON and back, by their annotation.

`codec_for(annotation)` gives a `Codec`: what it encodes comes back from `decode` equal in type and value.
Without an annotation (or with `Any`) only JSON types pass, because nothing would say what to decode them to.
A value that does not fit raises `Misfit`, which knows the place.
"""

from .base import Codec, Json, Misfit, dumps
from .dispatch import codec_for
from .records import Record
from .schemas import schema_of

__all__ = ["Codec", "Json", "Misfit", "Record", "codec_for", "dumps", "schema_of"]
