import { render } from "preact";
import "./theme.css";
import "./parts/parts.css";
import "./views/views.css";
import { Page } from "./page";
import { address } from "./route";
import { openSource } from "./source";

const place = document.getElementById("page");
if (place) {
  void openSource().then((source) => {
    // A report is about one run: it opens at that run's front.
    if (source.about !== null && location.hash === "") location.replace(address("front", source.about));
    render(<Page source={source} />, place);
  });
}
