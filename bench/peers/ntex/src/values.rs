//! Values of PostgreSQL in their binary form: as they travel, and as JSON.

use std::error::Error;

use chrono::{DateTime, Datelike, TimeDelta, Utc};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, private::BytesMut, to_sql_checked};
use uuid::Uuid;

type Failure = Box<dyn Error + Sync + Send>;

/// From 1970-01-01 to 2000-01-01, where PostgreSQL counts from.
const EPOCH_SECONDS: i64 = 946_684_800;
const EPOCH_DAYS: i64 = 10_957;
const DAY_MICROS: i64 = 86_400_000_000;

/// The bytes of a column of any type. Text and enums are their own text.
pub struct Raw<'a>(pub &'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, bytes: &'a [u8]) -> Result<Self, Failure> {
        Ok(Self(bytes))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Text for a parameter of any type whose binary form is its text, enums among them.
#[derive(Debug, Clone, Copy)]
pub struct Text<'a>(pub &'a str);

impl ToSql for Text<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Failure> {
        out.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// Microseconds since 2000-01-01, as PostgreSQL keeps a `timestamptz`.
#[derive(Debug, Clone, Copy)]
pub struct Instant(pub i64);

impl Instant {
    /// RFC 3339, of which PostgreSQL keeps the microseconds. RFC 3339 has no other years than those of four digits.
    pub fn parse(text: &str) -> Option<Self> {
        let time = DateTime::parse_from_rfc3339(text).ok()?.with_timezone(&Utc);
        if !(1..=9999).contains(&time.year()) {
            return None;
        }
        Some(Self::from(time))
    }
}

impl From<DateTime<Utc>> for Instant {
    fn from(time: DateTime<Utc>) -> Self {
        Self((time - TimeDelta::seconds(EPOCH_SECONDS)).timestamp_micros())
    }
}

impl ToSql for Instant {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Failure> {
        out.extend_from_slice(&self.0.to_be_bytes());
        Ok(IsNull::No)
    }

    fn accepts(of: &Type) -> bool {
        *of == Type::TIMESTAMPTZ
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Instant {
    fn from_sql(_: &Type, bytes: &'a [u8]) -> Result<Self, Failure> {
        Ok(Self(i64::from_be_bytes(bytes.try_into()?)))
    }

    fn accepts(of: &Type) -> bool {
        *of == Type::TIMESTAMPTZ
    }
}

pub fn write_uuid(out: &mut Vec<u8>, id: Uuid) {
    let mut buffer = Uuid::encode_buffer();
    out.push(b'"');
    out.extend_from_slice(id.hyphenated().encode_lower(&mut buffer).as_bytes());
    out.push(b'"');
}

/// RFC 3339 in UTC with all microseconds. The calendar is the usual one from days to years, in eras of 400 years that
/// begin in March.
pub fn write_instant(out: &mut Vec<u8>, Instant(micros): Instant) {
    let days = micros.div_euclid(DAY_MICROS) + EPOCH_DAYS + 719_468;
    let time = micros.rem_euclid(DAY_MICROS);
    let era_day = days.rem_euclid(146_097);
    let era_year = (era_day - era_day / 1460 + era_day / 36_524 - era_day / 146_096) / 365;
    let year_day = era_day - (365 * era_year + era_year / 4 - era_year / 100);
    let march_month = (5 * year_day + 2) / 153;
    let day = year_day - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = days.div_euclid(146_097) * 400 + era_year + i64::from(month <= 2);
    let seconds = time / 1_000_000;

    let mut text = *b"\"0000-00-00T00:00:00.000000Z\"";
    write_digits(&mut text[1..5], year);
    write_digits(&mut text[6..8], month);
    write_digits(&mut text[9..11], day);
    write_digits(&mut text[12..14], seconds / 3600);
    write_digits(&mut text[15..17], seconds / 60 % 60);
    write_digits(&mut text[18..20], seconds % 60);
    write_digits(&mut text[21..27], time % 1_000_000);
    out.extend_from_slice(&text);
}

fn write_digits(place: &mut [u8], mut number: i64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// A JSON string. `text` is UTF-8, from PostgreSQL or from Rust.
pub fn write_string(out: &mut Vec<u8>, text: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let mut written = 0;
    for (at, &byte) in text.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&text[written..at]);
        written = at + 1;
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            _ => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
        }
    }
    out.extend_from_slice(&text[written..]);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use chrono::SecondsFormat;

    use super::*;

    #[test]
    fn instants_are_written_as_chrono_writes_them() {
        for text in [
            "0001-01-01T00:00:00.000000Z",
            "1969-12-31T23:59:59.999999Z",
            "2000-02-29T12:34:56.000001Z",
            "2100-02-28T23:59:59.100000Z",
            "2026-12-24T18:00:00.123456+05:30",
            "9999-12-31T23:59:59.999999Z",
        ] {
            let mut out = Vec::new();
            write_instant(&mut out, Instant::parse(text).unwrap());
            let time = DateTime::parse_from_rfc3339(text).unwrap().to_utc();
            let wanted = time.to_rfc3339_opts(SecondsFormat::Micros, true);
            assert_eq!(String::from_utf8(out).unwrap(), format!("\"{wanted}\""));
        }
    }

    #[test]
    fn strings_are_read_back_as_they_were() {
        let text = "a \"b\" \\ \n\t\u{1} \u{7f} ü €";
        let mut out = Vec::new();
        write_string(&mut out, text.as_bytes());
        assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
    }
}
