"""Tells SGLang that this machine computes with plain PyTorch: its own CPU mode needs kernels that no wheel has."""


def platform():
    """The class for SGLang to load, None beside a GPU: the kit is for tests without one."""
    import torch

    return None if torch.cuda.is_available() else "literesearcher_torch_cpu.platform.TorchCpu"
