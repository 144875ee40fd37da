"""From the data of a run to findings and verdicts; never needs a machine or a clock."""

from __future__ import annotations

from kernleap.judge.assemble import judge
from kernleap.judge.judgement import Judgement, NoiseFloor
from kernleap.judge.policy import Policy
from kernleap.judge.verdict import exit_code

__all__ = ["Judgement", "NoiseFloor", "Policy", "exit_code", "judge"]
