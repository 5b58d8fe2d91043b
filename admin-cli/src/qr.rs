//! A QR code on a terminal: two modules to a character, with half blocks (ISO/IEC 18004; U+2580, U+2584, U+2588). Pure.

use fast_qr::{ECL, QRBuilder};

use crate::cli::Background;

/// Light modules around the code. The standard wants four; terminals have a margin of their own, and two are read.
const MARGIN: usize = 2;

/// What is drawn with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ink {
    /// Black on white by escape sequences, whatever the terminal's colours are.
    Colours,
    /// The terminal's own two colours.
    Terminal(Background),
}

/// `text` as lines; `None` if it is longer than a QR code holds.
#[must_use]
pub(crate) fn draw(text: &str, ink: Ink) -> Option<String> {
    let code = QRBuilder::new(text).ecl(ECL::L).build().ok()?;
    let side = code.size + 2 * MARGIN;
    let dark = |row: usize, column: usize| {
        let at = |place: usize| place.checked_sub(MARGIN).filter(|place| *place < code.size);
        at(row).zip(at(column)).is_some_and(|(row, column)| code[row][column].value())
    };
    // On a dark background it is the light modules that are drawn.
    let drawn = |dark: bool| dark != (ink == Ink::Terminal(Background::Dark));
    let lines = (0..side).step_by(2).map(|row| {
        let line: String = (0..side)
            .map(|column| {
                let below = row + 1 < side && dark(row + 1, column);
                match (drawn(dark(row, column)), drawn(below)) {
                    (true, true) => '█',
                    (true, false) => '▀',
                    (false, true) => '▄',
                    (false, false) => ' ',
                }
            })
            .collect();
        if ink == Ink::Colours { format!("\u{1b}[30;107m{line}\u{1b}[0m") } else { line }
    });
    Some(lines.collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads the modules back from the characters.
    fn modules(drawn: &str, set_is_dark: bool) -> Vec<Vec<bool>> {
        let rows = drawn.lines().flat_map(|line| {
            let half = |upper: bool| {
                line.chars()
                    .map(|c| match c {
                        '█' => set_is_dark,
                        '▀' => upper == set_is_dark,
                        '▄' => upper != set_is_dark,
                        ' ' => !set_is_dark,
                        other => panic!("{other:?} is not drawn with"),
                    })
                    .collect::<Vec<bool>>()
            };
            [half(true), half(false)]
        });
        rows.collect()
    }

    #[test]
    fn the_drawing_has_the_modules_of_the_code_on_either_background() {
        let text = "ringwall://sdp.example:443/eyJhIjoxfQ";
        let code = QRBuilder::new(text).ecl(ECL::L).build().expect("a code");
        for (background, set_is_dark) in [(Background::Dark, false), (Background::Light, true)] {
            let rows = modules(&draw(text, Ink::Terminal(background)).expect("drawn"), set_is_dark);
            for row in 0..code.size {
                for column in 0..code.size {
                    assert_eq!(
                        rows[row + MARGIN][column + MARGIN],
                        code[row][column].value(),
                        "{background:?} {row} {column}"
                    );
                }
            }
            assert!(rows[0].iter().chain(&rows[1]).all(|dark| !dark), "a quiet zone");
        }
    }

    #[test]
    fn colours_are_set_and_reset_on_every_line() {
        let drawn = draw("x", Ink::Colours).expect("drawn");
        assert!(drawn.lines().all(|line| line.starts_with("\u{1b}[30;107m") && line.ends_with("\u{1b}[0m")));
        assert!(draw(&"x".repeat(5_000), Ink::Colours).is_none());
    }
}
