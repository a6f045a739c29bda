"""What Sepehri, Pad, Yüzügüler, Frossard and Dunbar report of early exits (arXiv 2303.02384).

Their networks and data are others than ours: VGG-16 and ResNet-18 on CIFAR-10 and Tiny ImageNet.
"""

TIME_SAVED = "60-80 %"
"""Training time saved against split training with gradients, as their summary gives it."""
TIME_SAVED_PRINTED = """\
The paper saves 29 % (VGG-16) and 61 % (ResNet-18) of the training time on CIFAR-10, 25 % and 81 %
on Tiny ImageNet at a low bit rate; its summary says 60-80 %. It trains both parts at once."""
