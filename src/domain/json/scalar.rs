//! What strings and numbers mean, whichever way they are written.

use std::borrow::Cow;
use std::iter::repeat_n;

/// Whether two strings, numbers or literals are the same value.
pub(super) fn same_scalar(one: &str, other: &str) -> bool {
    if one == other {
        return true;
    }
    match (kind(one), kind(other)) {
        (Kind::String, Kind::String) => match (unescape(inside(one)), unescape(inside(other))) {
            (Some(one), Some(other)) => one == other,
            _ => false,
        },
        (Kind::Number, Kind::Number) => Decimal::read(one).equals(&Decimal::read(other)),
        // Literals are the same when their texts are.
        _ => false,
    }
}

enum Kind {
    String,
    Number,
    Literal,
}

fn kind(text: &str) -> Kind {
    match text.as_bytes().first() {
        Some(b'"') => Kind::String,
        Some(b'-' | b'0'..=b'9') => Kind::Number,
        _ => Kind::Literal,
    }
}

/// What stands between the quotes of a string.
fn inside(string: &str) -> &str {
    string.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(string)
}

/// What a key means whose quotes stand around `inside`. The caller knows whether
/// there are escapes in it, and without them there is nothing to do.
pub(super) fn key_value(inside: &str, escapes: bool) -> Option<Cow<'_, [u8]>> {
    if escapes { unescape(inside) } else { Some(Cow::Borrowed(inside.as_bytes())) }
}

/// The inside of a string without escapes. `None` if an escape is malformed.
///
/// JSON allows escapes of single surrogates, which no `str` can hold. They
/// become the three bytes UTF-8 would give them if it could (WTF-8); as pairs
/// become what they stand for, equal strings have equal bytes and only they.
pub(super) fn unescape(inside: &str) -> Option<Cow<'_, [u8]>> {
    let mut rest = inside.as_bytes();
    if !rest.contains(&b'\\') {
        return Some(Cow::Borrowed(rest));
    }
    let mut out = Vec::with_capacity(rest.len());
    loop {
        rest = match rest {
            [] => return Some(Cow::Owned(out)),
            [b'\\', b'u', tail @ ..] => unescape_unicode(tail, &mut out)?,
            [b'\\', escaped, tail @ ..] => {
                out.push(match escaped {
                    b'"' | b'\\' | b'/' => *escaped,
                    b'b' => 0x08,
                    b'f' => 0x0c,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    _ => return None,
                });
                tail
            }
            [b'\\'] => return None,
            [byte, tail @ ..] => {
                out.push(*byte);
                tail
            }
        };
    }
}

/// Decodes the escape whose digits stand first, and the one behind it if both
/// are a surrogate pair. Gives what follows.
fn unescape_unicode<'a>(digits: &'a [u8], out: &mut Vec<u8>) -> Option<&'a [u8]> {
    let (unit, after) = code_unit(digits)?;
    let second = match after {
        [b'\\', b'u', digits @ ..] => Some(code_unit(digits)?),
        _ => None,
    };
    let units = [Some(unit), second.map(|(unit, _)| unit)];
    let Some(Ok(character)) = char::decode_utf16(units.into_iter().flatten()).next() else {
        // A surrogate on its own: 1110_1101 10xx_xxxx 10xx_xxxx.
        let [high, low] = unit.to_be_bytes();
        out.extend([0xed, 0x80 | (high & 0x0f) << 2 | low >> 6, 0x80 | low & 0x3f]);
        return Some(after);
    };
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    match second {
        Some((_, after_second)) if character.len_utf16() == 2 => Some(after_second),
        _ => Some(after),
    }
}

/// Reads the four digits of an escape.
fn code_unit(digits: &[u8]) -> Option<(u16, &[u8])> {
    let (digits, after) = digits.split_first_chunk::<4>()?;
    let unit = digits.iter().try_fold(0_u16, |unit, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(unit << 4 | u16::try_from(digit).ok()?)
    })?;
    Some((unit, after))
}

/// A number as `± 0.DIGITS × 10^(point + exponent)`, where the digits neither
/// start nor end with a zero. That makes equal numbers equal in every part.
struct Decimal<'a> {
    negative: bool,
    /// The digits, in two pieces, as the point may have stood between them.
    digits: [&'a str; 2],
    point: i64,
    /// The exponent as written. It may be far beyond any integer type.
    exponent: Exponent<'a>,
}

#[derive(Clone, Copy)]
struct Exponent<'a> {
    negative: bool,
    digits: &'a str,
}

impl<'a> Decimal<'a> {
    fn read(text: &'a str) -> Self {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, ""));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let whole = whole.trim_start_matches('0');
        let (point, digits) = if whole.is_empty() {
            let digits = fraction.trim_start_matches('0');
            (-length(fraction) + length(digits), ["", digits.trim_end_matches('0')])
        } else {
            let digits = match fraction.trim_end_matches('0') {
                "" => [whole.trim_end_matches('0'), ""],
                fraction => [whole, fraction],
            };
            (length(whole), digits)
        };
        let exponent =
            Exponent { negative: exponent.starts_with('-'), digits: exponent.trim_start_matches(['+', '-']) };
        Self { negative, digits, point, exponent }
    }

    fn equals(&self, other: &Self) -> bool {
        if self.is_zero() || other.is_zero() {
            return self.is_zero() && other.is_zero();
        }
        let digits = |number: &Self| number.digits.map(str::bytes).into_iter().flatten();
        self.negative == other.negative
            && digits(self).eq(digits(other))
            && self.exponent.minus(other.exponent) == Some(other.point - self.point)
    }

    fn is_zero(&self) -> bool {
        self.digits == ["", ""]
    }
}

impl Exponent<'_> {
    /// The difference of two exponents, or `None` if it is so large that no
    /// place of a decimal point can make up for it. Takes time by the number of
    /// their digits, not by their size.
    fn minus(self, other: Self) -> Option<i64> {
        // Longer than any text, and ten times it fits an i64.
        const FAR: i64 = 1 << 58;

        let width = self.digits.len().max(other.digits.len());
        let digits = |exponent: Self| {
            let padding = repeat_n(b'0', width - exponent.digits.len());
            let sign = if exponent.negative { -1 } else { 1 };
            let values = padding.chain(exponent.digits.bytes());
            values.map(move |digit| sign * (i64::from(digit) - i64::from(b'0')))
        };
        // Digit by digit from the front. Once the difference is far from zero,
        // no further digits can bring it back.
        digits(self).zip(digits(other)).try_fold(0, |difference: i64, (one, other)| {
            let difference = difference * 10 + one - other;
            (difference.abs() <= FAR).then_some(difference)
        })
    }
}

/// The length of a text, as a number to calculate with.
fn length(text: &str) -> i64 {
    // No text is longer than an i64 can say.
    i64::try_from(text.len()).unwrap_or(i64::MAX)
}
