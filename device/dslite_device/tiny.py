"""A tiny model: run before the one that is measured, it has the runtime take what it takes for any model."""

import base64
import zlib

_TINY_MODEL = (
    "c-mc3Jxjw-6uoVurZv`rK{^!d*r`=ia1ucj3hg2eZfzk^15E;LTI}NFAcElF(80l3I=UAGH-CYD#Lal_dpB+Ig~NOA-0$;JB"
    "BJxt#;#3eDp8SaDv$-vBm-vxM|20g1H}|k1-MTWWpKw4-n?=uieqxPSrWGgtOI?wH}rz5mg8P_2Hi--8NgQ@$7wk;H<F$2x3"
    "DGrjqJKFUB?tZ#s=VfL8~_iBF}eQL$}xW!hn{*w}A`b0H}!nx8&yDcdGl<ZJIBGmX!}-H`PtYu<zRVWV-eCIGsHI9JW87rZ2"
    "y7{0i`l%|`vKd>jU-9l1_b^=qp<`I)MmFE4yadUJqlso{6LfMnJr)>gGGT9sI>H<^~4%b11zS;vgb!1s88PYKWVF>oaH9^k{"
    "~g5+X*5s1LEzIDfipb<aIED!G=|Kidz&jdX8=!cHmt&M8UPShN9wLJmRrqY8%5xrKx>eg+UJ<-5W-~2yV>?8UAETxZrJ=P_w"
    "b7lVkTTWb1"
)
"""A Dense(2) on two inputs, by `dslite.model.convert.to_tflite`: 732 bytes, deflated, in base 85."""


def tiny_model() -> bytes:
    """Give a .tflite file; it takes float32 ``(1, 2)`` and gives float32 ``(1, 2)``."""
    return zlib.decompress(base64.b85decode(_TINY_MODEL))
