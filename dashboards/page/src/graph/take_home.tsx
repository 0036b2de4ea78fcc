import { useSource } from "../context";
import type { TrialDocument } from "../documents";
import { Command } from "../parts/command";
import { Panel } from "../parts/panel";
import { runPath } from "../source";

const FILES: { format: string; label: string; what: string }[] = [
  { format: "onnx", label: "ONNX", what: "runs in ONNX Runtime" },
  { format: "source", label: "PyTorch source", what: "one readable file, with its weights" },
  { format: "torch-export", label: "torch.export", what: "an exported program" },
  { format: "json", label: "JSON", what: "the architecture, to read it back in" },
  { format: "card", label: "Model card", what: "task, data, measures, how to rerun" },
  { format: "svg", label: "SVG", what: "a drawing" },
  { format: "dot", label: "DOT", what: "for Graphviz" },
  { format: "graphml", label: "GraphML", what: "for graph tools" },
  { format: "text", label: "Text", what: "a line per node" },
];

/** Files to download where a server can make them, and what to type for the same and more. */
export function TakeHome({ run, trial }: { run: string; trial: TrialDocument }) {
  const source = useSource();
  return (
    <Panel title="Take it home" note={source.live ? "ONNX and the PyTorch forms take some seconds: a process of their own makes them." : "A report is one file without a server. These commands make the files, where the run's folder is."}>
      {source.live && (
        <ul class="downloads">
          {FILES.map((file) => (
            <li key={file.format}>
              <a class="button" href={runPath(run, `/trials/${trial.trial}/files/${file.format}`)} download>
                {file.label}
              </a>{" "}
              <span class="soft">{file.what}</span>
            </li>
          ))}
        </ul>
      )}
      {Object.entries(trial.commands).map(([title, text]) => (
        <Command key={title} label={title} text={text} />
      ))}
    </Panel>
  );
}
