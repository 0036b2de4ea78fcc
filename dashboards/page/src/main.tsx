import { render } from "preact";
import "./theme.css";
import "./parts/parts.css";
import { Page } from "./page";
import { openSource } from "./source";

const place = document.getElementById("page");
if (place) void openSource().then((source) => render(<Page source={source} />, place));
