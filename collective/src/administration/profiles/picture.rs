//! A text as a QR code in a PNG or an SVG: for the links of profiles and one-time passwords. Pure.

use std::fmt::Write;

use data_encoding::BASE64;
use fast_qr::{ECL, QRBuilder, QRCode};

/// Pixels of one module's side.
const SCALE: usize = 4;
/// Light modules around the code (ISO/IEC 18004 §6.3.8).
const MARGIN: usize = 4;
/// Most bytes of one uncompressed block (RFC 1951 §3.2.4).
const MAX_BLOCK: usize = 65_535;

/// The picture in base64; `None` if the text is longer than a QR code holds.
#[must_use]
pub(crate) fn barcode(text: &str) -> Option<String> {
    let code = code(text)?;
    let dark = |row: usize, column: usize| code[row][column].value();
    Some(BASE64.encode(&png(code.size, dark)))
}

/// The same as an SVG document (W3C SVG 1.1); nothing of `text` stands in it as text.
#[must_use]
pub(crate) fn drawing(text: &str) -> Option<String> {
    let code = code(text)?;
    let side = code.size + 2 * MARGIN;
    let mut path = String::new();
    for row in 0..code.size {
        for column in (0..code.size).filter(|column| code[row][*column].value()) {
            // Writing to a text cannot fail.
            let _ = write!(path, "M{} {}h1v1h-1z", column + MARGIN, row + MARGIN);
        }
    }
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" shape-rendering=\"crispEdges\" role=\"img\" \
         aria-label=\"QR code\"><path fill=\"#fff\" d=\"M0 0h{side}v{side}h-{side}z\"/><path fill=\"#000\" d=\"{path}\"/></svg>"
    ))
}

/// With as much redundancy as fits: screens are clean, long links need the room.
fn code(text: &str) -> Option<QRCode> {
    [ECL::M, ECL::L].into_iter().find_map(|level| QRBuilder::new(text).ecl(level).build().ok())
}

/// A grey picture of one bit a pixel: dark modules black (PNG, W3C Recommendation).
fn png(modules: usize, dark: impl Fn(usize, usize) -> bool) -> Vec<u8> {
    let side = (modules + 2 * MARGIN) * SCALE;
    let module = |pixel: usize| (pixel / SCALE).checked_sub(MARGIN).filter(|at| *at < modules);
    let mut rows = Vec::with_capacity(side * (side / 8 + 2));
    for y in 0..side {
        rows.push(0); // no filter
        for first in (0..side).step_by(8) {
            let bits = (first..first + 8).map(|x| {
                let black = x < side && module(y).zip(module(x)).is_some_and(|(row, column)| dark(row, column));
                u8::from(!black)
            });
            rows.push(bits.fold(0, |byte, bit| byte << 1 | bit));
        }
    }
    let size = u32::try_from(side).unwrap_or(u32::MAX).to_be_bytes();
    let header: Vec<u8> = [&size[..], &size[..], &[1, 0, 0, 0, 0]].concat();
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    chunk(&mut png, b"IHDR", &header);
    chunk(&mut png, b"IDAT", &stored(&rows));
    chunk(&mut png, b"IEND", &[]);
    png
}

fn chunk(png: &mut Vec<u8>, kind: &[u8; 4], body: &[u8]) {
    png.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes());
    png.extend_from_slice(kind);
    png.extend_from_slice(body);
    png.extend_from_slice(&crc32(kind.iter().chain(body)).to_be_bytes());
}

/// A zlib stream without compression (RFC 1950, RFC 1951 §3.2.4).
fn stored(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0x78, 0x01];
    let blocks = bytes.len().div_ceil(MAX_BLOCK).max(1);
    for (nth, block) in bytes.chunks(MAX_BLOCK).enumerate() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        out.push(u8::from(nth + 1 == blocks));
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(block);
    }
    out.extend_from_slice(&adler32(bytes).to_be_bytes());
    out
}

fn crc32<'a>(bytes: impl Iterator<Item = &'a u8>) -> u32 {
    !bytes.fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 })
    })
}

fn adler32(bytes: &[u8]) -> u32 {
    let (low, high) = bytes.iter().fold((1_u32, 0_u32), |(low, high), byte| {
        let low = (low + u32::from(*byte)) % 65_521;
        (low, (high + low) % 65_521)
    });
    high << 16 | low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_standards() {
        assert_eq!(crc32(b"123456789".iter()), 0xCBF4_3926);
        assert_eq!(adler32(b"Wikipedia"), 0x11E6_0398);
    }

    #[test]
    fn a_link_becomes_a_png_and_an_endless_text_none() {
        let picture = barcode("ringwall://sdp.example:443/eyJhIjoxfQ").expect("a code");
        let bytes = BASE64.decode(picture.as_bytes()).expect("base64");
        assert!(bytes.starts_with(b"\x89PNG\r\n\x1a\n"));
        let width = u32::from_be_bytes(bytes[16..20].try_into().expect("four bytes"));
        assert_eq!((width as usize / SCALE - 2 * MARGIN - 17) % 4, 0, "a QR code has 17 + 4n modules");
        assert!(barcode(&"x".repeat(5_000)).is_none());
        assert!(drawing(&"x".repeat(5_000)).is_none());
    }

    #[test]
    fn a_drawing_has_the_same_modules_as_the_code() {
        let text = "ringwall://sdp.example:443/eyJhIjoxfQ";
        let (svg, code) = (drawing(text).expect("a code"), code(text).expect("a code"));
        let dark = (0..code.size).flat_map(|row| (0..code.size).map(move |column| (row, column)));
        assert_eq!(svg.matches("h1v1h-1z").count(), dark.filter(|(row, column)| code[*row][*column].value()).count());
        assert!(!svg.contains("ringwall"));
    }
}
