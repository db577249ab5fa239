"""What an experiment leaves behind: figures, tables and one JSON, the same bytes each time, and a page of all.

    settings = {"count": 200}
    with Output("out/translation", experiment="translation", title="Translation", settings=settings, seed=1) as output:
        figure, axes = style.new_figure()
        axes[0, 0].plot([1.0, 0.5], [0.9, 0.7], **style.SIMILARITIES["semantic"].line)
        output.figure("detection", figure, caption="How often the twin is found.")
        output.table("scores", header=["similarity", "accuracy"], rows=[["semantic", 0.9]], caption="Top-1 accuracy.")
        output.result("accuracy", {"semantic": 0.9})

writes out/translation/ (detection.png, detection.svg, scores.csv, scores.md, results.json, timings.json) and
out/report.html.
"""

from setwise_evaluation.report import style
from setwise_evaluation.report._command import made_by
from setwise_evaluation.report._output import Output
from setwise_evaluation.report._page import ORDER, find_experiments, write_page

__all__ = ["ORDER", "Output", "find_experiments", "made_by", "style", "write_page"]
