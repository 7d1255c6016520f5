"""The platform itself, loaded by SGLang in each of its processes."""

from sglang.srt.platforms.cpu import CpuDeviceMixin
from sglang.srt.platforms.device_mixin import PlatformEnum
from sglang.srt.platforms.interface import SRTPlatform


class TorchCpu(CpuDeviceMixin, SRTPlatform):
    """Attention and every fused operator by the form that PyTorch alone can run."""

    _enum = PlatformEnum.OOT

    def get_default_attention_backend(self) -> str:
        """PyTorch's own attention."""
        return "torch_native"

    def get_dispatch_key_name(self) -> str:
        """Which form of each operator is taken."""
        return "native"
