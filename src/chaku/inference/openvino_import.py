"""What chaku uses of OpenVINO, without its telemetry.

OpenVINO's `openvino_telemetry` writes an identifier into ~/intel and reports every `import openvino` to Google
Analytics. Where this package cannot be imported, OpenVINO uses a substitute that does nothing.
"""

import sys

sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # makes its import fail

import openvino as ov  # noqa: E402
import openvino.opset13 as op  # noqa: E402
from openvino._offline_transformations import compress_model_transformation  # noqa: E402
from openvino._pyopenvino.op import _PagedAttentionExtension as PagedAttention  # noqa: E402

__all__ = ["PagedAttention", "compress_model_transformation", "op", "ov"]
