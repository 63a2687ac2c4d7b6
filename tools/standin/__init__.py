"""What made the files in `peoplenet_nb/demo/`: the renderer of the street and the training of the stand-in network.

`render` writes the demo clip and its ground truth, `train` the network; both import `scene`, which puts together
the street (`backdrop`, `props`) and the people (`walkers`, `looks`, `skeleton`, `figure`, `head`, `bags`).
"""
