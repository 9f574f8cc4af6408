import { render } from "preact";

render(<main>Waybill</main>, document.body);
