"""One-shot aggregation: a chain whose states meet once, at the end."""

from nas.registry import Paper
from nas.topology.fixed_operations import GATES
from nas.topology.graph import Topology
from nas.topology.patterns import Word, connection_pattern
from nas.topology.wiring import Wiring


@connection_pattern(
    "one_shot",
    Paper("Lee et al.", 2019, arxiv="1904.09730"),
    formula="y = W [x; f_1; ...; f_n]; v2: y = x + eSE(W [x; f_1; ...; f_n])",
    parameters=(Word("version", "v1", ("v1", "v2"), "v2 adds the gate eSE and the identity"),),
)
def one_shot(size: int, *, version: str) -> Topology:
    """Run a chain and concatenate the input and all its states in one join, projected back.

    `version=v2` is VoVNetV2's module (Lee and Park 2019, arXiv:1911.06667): the effective
    squeeze-excitation gate behind the join, and the input added. Several modules in a row are
    `repeated(inner=one_shot)`.
    """
    wiring, states = Wiring(), [0]
    for _ in range(size):
        states.append(wiring.operation(states[-1]))
    joined = wiring.join(*states, merge="concat")
    if version == "v2":
        wiring.join(0, wiring.fixed(GATES["ese"], joined), merge="sum")
    return wiring.topology("concat")
