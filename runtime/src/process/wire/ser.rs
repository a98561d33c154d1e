//! Writing a value.
//!
//! | what | how |
//! |---|---|
//! | `bool`, `u8`, `i8` | one byte |
//! | wider integers | base 128, low groups first; signed ones zigzag |
//! | floats | their bytes, low first |
//! | `char` | as its number |
//! | text, bytes | length + 1, then the bytes; 0 when they travel ahead |
//! | sequence | elements + 3, then each; 2 when it is numbers that travel ahead; 1, the kind of number and the length when it is numbers in place; 0 when the length is unknown: each element after a 1, the end a 0 |
//! | map | entries + 1, then each; 0 as for a sequence |
//! | tuple, newtype | the parts |
//! | struct | the number of fields, then each |
//! | enum | the variant's number, then as the variant is shaped |
//! | option | 0, or 1 and the value |

use std::io;

use serde::ser::{self, Serialize};

use super::raw::{self, Number};
use super::{CodecError, Direction};

/// From this length on, a run leaves its value and travels ahead.
const LARGE: usize = 32 << 10;

/// How deeply values may nest. A reader must not be led to exhaust its stack.
pub(super) const DEPTH: u32 = 256;

/// Takes the runs that travel ahead of their value.
pub(super) trait Large {
    fn send(&mut self, number: Number, bytes: &[u8]) -> io::Result<()>;
}

/// Writes `value` with everything in place.
pub(crate) fn to_bytes<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, CodecError> {
    let mut out = Vec::new();
    write(&mut out, None, value)?;
    Ok(out)
}

/// Writes `value` behind what `out` holds, long runs through `large`. A panic of the value's code is an
/// error like any other: what `out` holds of the value is the caller's to take off.
pub(super) fn write<'a, T: Serialize + ?Sized>(
    out: &'a mut Vec<u8>,
    large: Option<&'a mut dyn Large>,
    value: &T,
) -> Result<(), CodecError> {
    let mut encoder = Encoder {
        out,
        large,
        depth: 0,
    };
    Direction::Serialize.guard(|| encoder.value(value))
}

struct Encoder<'a> {
    out: &'a mut Vec<u8>,
    large: Option<&'a mut dyn Large>,
    depth: u32,
}

impl<'a> Encoder<'a> {
    /// Every value passes here, so that runs of numbers are seen wherever they stand.
    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CodecError> {
        match raw::numbers_of(value) {
            Some((number, bytes)) => self.numbers(number, bytes),
            None => {
                self.depth += 1;
                if self.depth > DEPTH {
                    return Err(CodecError::too_deep(DEPTH));
                }
                value.serialize(&mut *self)?;
                self.depth -= 1;
                Ok(())
            }
        }
    }

    fn numbers(&mut self, number: Number, bytes: &[u8]) -> Result<(), CodecError> {
        match &mut self.large {
            Some(large) if bytes.len() >= LARGE => {
                large.send(number, bytes).map_err(CodecError::Io)?;
                self.number(2);
                self.length(bytes.len() / number.width());
            }
            _ => {
                self.number(1);
                self.out.push(number as u8);
                self.length(bytes.len() / number.width());
                self.out.extend_from_slice(bytes);
            }
        }
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), CodecError> {
        match &mut self.large {
            Some(large) if bytes.len() >= LARGE => {
                large.send(Number::U8, bytes).map_err(CodecError::Io)?;
                self.number(0);
            }
            _ => {
                self.length(bytes.len() + 1);
                self.out.extend_from_slice(bytes);
            }
        }
        Ok(())
    }

    fn length(&mut self, length: usize) {
        self.number(length as u128);
    }

    fn number(&mut self, mut number: u128) {
        while number >= 0x80 {
            self.out.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.out.push(number as u8);
    }

    fn signed(&mut self, number: i128) {
        self.number(((number << 1) ^ (number >> 127)) as u128);
    }

    /// Begins `length` parts after a head that is that number and `offset`.
    fn counted<'b>(&'b mut self, length: Option<usize>, offset: usize) -> Parts<'b, 'a> {
        match length {
            Some(length) => self.length(length + offset),
            None => self.number(0),
        }
        Parts {
            encoder: self,
            left: length,
        }
    }

    fn parts<'b>(&'b mut self, length: usize) -> Parts<'b, 'a> {
        Parts {
            encoder: self,
            left: Some(length),
        }
    }
}

/// The parts of a value that is being written.
struct Parts<'b, 'a> {
    encoder: &'b mut Encoder<'a>,
    /// How many are still to come; `None` when nobody knows.
    left: Option<usize>,
}

impl Parts<'_, '_> {
    fn part<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CodecError> {
        match &mut self.left {
            Some(0) => return Err(CodecError::value("it has more parts than it says")),
            Some(left) => *left -= 1,
            None => self.encoder.out.push(1),
        }
        self.encoder.value(value)
    }

    fn finish(self) -> Result<(), CodecError> {
        match self.left {
            Some(0) => Ok(()),
            Some(_) => Err(CodecError::value("it has fewer parts than it says")),
            None => {
                self.encoder.out.push(0);
                Ok(())
            }
        }
    }
}

macro_rules! integers {
    ($($method:ident $type:ty => $how:ident $wide:ty),* $(,)?) => {
        $(fn $method(self, number: $type) -> Result<(), CodecError> {
            self.$how(<$wide>::from(number));
            Ok(())
        })*
    };
}

impl<'b, 'a> ser::Serializer for &'b mut Encoder<'a> {
    type Ok = ();
    type Error = CodecError;
    type SerializeSeq = Parts<'b, 'a>;
    type SerializeTuple = Parts<'b, 'a>;
    type SerializeTupleStruct = Parts<'b, 'a>;
    type SerializeTupleVariant = Parts<'b, 'a>;
    type SerializeMap = Parts<'b, 'a>;
    type SerializeStruct = Parts<'b, 'a>;
    type SerializeStructVariant = Parts<'b, 'a>;

    integers! {
        serialize_u16 u16 => number u128,
        serialize_u32 u32 => number u128,
        serialize_u64 u64 => number u128,
        serialize_u128 u128 => number u128,
        serialize_i16 i16 => signed i128,
        serialize_i32 i32 => signed i128,
        serialize_i64 i64 => signed i128,
        serialize_i128 i128 => signed i128,
        serialize_char char => number u128,
    }

    fn serialize_bool(self, value: bool) -> Result<(), CodecError> {
        self.out.push(u8::from(value));
        Ok(())
    }

    fn serialize_u8(self, number: u8) -> Result<(), CodecError> {
        self.out.push(number);
        Ok(())
    }

    fn serialize_i8(self, number: i8) -> Result<(), CodecError> {
        self.out.push(number.cast_unsigned());
        Ok(())
    }

    fn serialize_f32(self, number: f32) -> Result<(), CodecError> {
        self.out.extend_from_slice(&number.to_le_bytes());
        Ok(())
    }

    fn serialize_f64(self, number: f64) -> Result<(), CodecError> {
        self.out.extend_from_slice(&number.to_le_bytes());
        Ok(())
    }

    fn serialize_str(self, text: &str) -> Result<(), CodecError> {
        self.bytes(text.as_bytes())
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), CodecError> {
        self.bytes(bytes)
    }

    fn serialize_none(self) -> Result<(), CodecError> {
        self.out.push(0);
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), CodecError> {
        self.out.push(1);
        self.value(value)
    }

    fn serialize_unit(self) -> Result<(), CodecError> {
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), CodecError> {
        Ok(())
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        variant: u32,
        _: &'static str,
    ) -> Result<(), CodecError> {
        self.serialize_u32(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), CodecError> {
        self.value(value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        variant: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), CodecError> {
        self.number(variant.into());
        self.value(value)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Parts<'b, 'a>, CodecError> {
        Ok(self.counted(length, 3))
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Parts<'b, 'a>, CodecError> {
        Ok(self.counted(length, 1))
    }

    fn serialize_tuple(self, length: usize) -> Result<Parts<'b, 'a>, CodecError> {
        Ok(self.parts(length))
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        length: usize,
    ) -> Result<Parts<'b, 'a>, CodecError> {
        Ok(self.parts(length))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        variant: u32,
        _: &'static str,
        length: usize,
    ) -> Result<Parts<'b, 'a>, CodecError> {
        self.number(variant.into());
        Ok(self.parts(length))
    }

    fn serialize_struct(self, _: &'static str, length: usize) -> Result<Parts<'b, 'a>, CodecError> {
        Ok(self.counted(Some(length), 0))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        variant: u32,
        _: &'static str,
        length: usize,
    ) -> Result<Parts<'b, 'a>, CodecError> {
        self.number(variant.into());
        Ok(self.counted(Some(length), 0))
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

macro_rules! parts {
    ($($trait:ident $method:ident),* $(,)?) => {
        $(impl ser::$trait for Parts<'_, '_> {
            type Ok = ();
            type Error = CodecError;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CodecError> {
                self.part(value)
            }

            fn end(self) -> Result<(), CodecError> {
                self.finish()
            }
        })*
    };
}

parts! {
    SerializeSeq serialize_element,
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field,
}

macro_rules! fields {
    ($($trait:ident),*) => {
        $(impl ser::$trait for Parts<'_, '_> {
            type Ok = ();
            type Error = CodecError;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                _: &'static str,
                value: &T,
            ) -> Result<(), CodecError> {
                self.part(value)
            }

            fn skip_field(&mut self, name: &'static str) -> Result<(), CodecError> {
                let text = format!(
                    "its field `{name}` is left out; without field names no reader could tell, so \
                     `skip_serializing_if` cannot be used on what travels between processes"
                );
                Err(CodecError::value(text))
            }

            fn end(self) -> Result<(), CodecError> {
                self.finish()
            }
        })*
    };
}

fields!(SerializeStruct, SerializeStructVariant);

impl ser::SerializeMap for Parts<'_, '_> {
    type Ok = ();
    type Error = CodecError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), CodecError> {
        self.part(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CodecError> {
        self.encoder.value(value)
    }

    fn end(self) -> Result<(), CodecError> {
        self.finish()
    }
}
