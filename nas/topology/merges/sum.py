"""Sum and mean of the inputs."""

from nas.registry import Paper
from nas.topology.merges import Merge, merge

merge(Merge("sum"), Paper("He et al.", 2015, arxiv="1512.03385"))
merge(
    Merge("mean", default_scale="mean", fixed_scale=True),
    Paper("Larsson et al.", 2016, arxiv="1605.07648"),
)
