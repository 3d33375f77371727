//! Texts in CSV files that spreadsheets would run as formulas.

/// First characters of cells that spreadsheets read as formulas, as OWASP lists them ("CSV Injection").
const FORMULA: [u8; 6] = *b"=+-@\t\r";

/// Returns a CSV file in which every cell that a spreadsheet would read as a formula begins with `'`, so that it is
/// shown as text. Numbers stay as they are.
pub fn without_formulas(csv: Vec<u8>) -> Vec<u8> {
    let starts: Vec<usize> = formula_cells(&csv);
    if starts.is_empty() {
        return csv;
    }
    let mut safe = Vec::with_capacity(csv.len() + starts.len());
    let mut written = 0;
    for start in starts {
        safe.extend_from_slice(&csv[written..start]);
        safe.push(b'\'');
        written = start;
    }
    safe.extend_from_slice(&csv[written..]);
    safe
}

/// Returns the first byte of the content of each cell that is a formula.
fn formula_cells(csv: &[u8]) -> Vec<usize> {
    let mut starts = Vec::new();
    let mut is_quoted = false;
    // The first byte of the current cell, its quote included.
    let mut cell = 0;
    for (index, &byte) in csv.iter().enumerate() {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b',' | b'\n' if !is_quoted => {
                starts.extend(formula_start(csv, cell..index));
                cell = index + 1;
            }
            _ => {}
        }
    }
    starts.extend(formula_start(csv, cell..csv.len()));
    starts
}

/// Returns the first byte of the content of a cell if it is a formula.
fn formula_start(csv: &[u8], cell: std::ops::Range<usize>) -> Option<usize> {
    let start = if csv.get(cell.start) == Some(&b'"') { cell.start + 1 } else { cell.start };
    let content = csv.get(start..cell.end)?;
    let is_formula = content.first().is_some_and(|first| FORMULA.contains(first));
    let is_number = || std::str::from_utf8(content).is_ok_and(|text| text.trim_end().parse::<f64>().is_ok());
    // A line that ends with CR LF may have an empty last cell.
    (is_formula && content != b"\r" && !is_number()).then_some(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_become_texts_and_numbers_stay() {
        let safe = |csv: &str| String::from_utf8(without_formulas(csv.as_bytes().to_vec())).unwrap();
        assert_eq!(safe("arm,x\n=1+1,2\n"), "arm,x\n'=1+1,2\n");
        assert_eq!(safe("\"=HYPERLINK(\"\"a,b\"\")\",@x\n+y,-z"), "\"'=HYPERLINK(\"\"a,b\"\")\",'@x\n'+y,'-z");
        assert_eq!(safe("\"\tx\",\"\ry\"\n"), "\"'\tx\",\"'\ry\"\n");
        let numbers = "a,b\r\n-1,-0.5\r\n+2,-1e-9\n-inf,\r\n";
        assert_eq!(safe(numbers), numbers);
        let texts = "name,a-b,x=y,\"a,=b\",\"a\n=b\"\n";
        assert_eq!(safe(texts), texts);
    }
}
