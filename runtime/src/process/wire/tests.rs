use std::collections::{BTreeMap, HashMap};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::*;

/// A channel in memory, that gives and takes at most `most` bytes at once.
#[derive(Debug)]
struct Memory {
    bytes: Vec<u8>,
    at: usize,
    most: usize,
}

impl Memory {
    fn new(bytes: Vec<u8>, most: usize) -> Self {
        Self { bytes, at: 0, most }
    }
}

impl Source for Memory {
    fn read<'a>(&mut self, to: &'a mut [MaybeUninit<u8>]) -> io::Result<&'a [u8]> {
        let left = &self.bytes[self.at..];
        let read = left.len().min(to.len()).min(self.most);
        self.at += read;
        Ok(to[..read].write_copy_of_slice(&left[..read]))
    }
}

impl Sink for Memory {
    fn send(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut left = self.most;
        for part in parts {
            let taken = part.len().min(left);
            self.bytes.extend_from_slice(&part[..taken]);
            left -= taken;
        }
        Ok(self.most - left)
    }
}

fn through<T: Serialize + DeserializeOwned>(value: &T, most: usize) -> T {
    let mut writer = FrameWriter::new(Memory::new(Vec::new(), most));
    writer.frame(Kind::Output, &7_u8).unwrap();
    writer.send(Kind::Done, value).unwrap();
    let mut reader = FrameReader::new(Memory::new(written(writer), most));
    assert_eq!(reader.next().unwrap().unwrap().value::<u8>().unwrap(), 7);
    let frame = reader.next().unwrap().unwrap();
    assert_eq!(frame.kind, Kind::Done);
    let value = frame.value().unwrap();
    assert!(reader.next().unwrap().is_none());
    value
}

fn written(mut writer: FrameWriter<Memory>) -> Vec<u8> {
    writer.flush().unwrap();
    writer.into_sink().bytes
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Everything {
    flag: bool,
    small: (u8, i8),
    mid: (u16, i16, u32, i32),
    wide: (u64, i64, u128, i128, usize, isize),
    floats: (f32, f64),
    letter: char,
    text: String,
    bytes: Vec<u8>,
    numbers: Vec<f64>,
    sizes: Vec<usize>,
    maybe: Option<Vec<i32>>,
    nested: Vec<Vec<u16>>,
    boxed: Box<[u64]>,
    names: BTreeMap<String, Vec<u8>>,
    shape: Shape,
    result: Vec<Result<u8, String>>,
    unit: (),
    time: Option<(Duration, SystemTime)>,
    array: [u8; 5],
    wrapped: Wrapped,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Wrapped(Vec<u8>);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
enum Shape {
    #[default]
    Empty,
    One(Vec<f32>),
    Two(i64, String),
    Named {
        x: f32,
        name: Option<String>,
    },
}

fn full() -> Everything {
    Everything {
        flag: true,
        small: (255, -128),
        mid: (u16::MAX, i16::MIN, u32::MAX, i32::MIN),
        wide: (
            u64::MAX,
            i64::MIN,
            u128::MAX,
            i128::MIN,
            usize::MAX,
            isize::MIN,
        ),
        floats: (f32::MIN_POSITIVE, -0.0),
        letter: '\u{10ffff}',
        text: "größe".into(),
        bytes: (0..=255).collect(),
        numbers: vec![1.5, f64::INFINITY],
        sizes: vec![0, usize::MAX],
        maybe: Some(vec![-1, 2]),
        nested: vec![vec![], vec![1, 2, 3]],
        boxed: vec![u64::MAX].into(),
        names: BTreeMap::from([("a".into(), vec![1]), (String::new(), vec![])]),
        shape: Shape::Named {
            x: 0.5,
            name: Some("n".into()),
        },
        result: vec![Ok(1), Err("no".into())],
        unit: (),
        time: Some((Duration::from_nanos(7), SystemTime::UNIX_EPOCH)),
        array: [1, 2, 3, 4, 5],
        wrapped: Wrapped(vec![9; 3]),
    }
}

#[test]
fn every_kind_of_value_comes_back() {
    for most in [1, 7, usize::MAX] {
        assert_eq!(through(&full(), most), full());
        assert_eq!(through(&Everything::default(), most), Everything::default());
        for shape in [Shape::One(vec![1.0; 9]), Shape::Two(-5, "t".into())] {
            assert_eq!(through(&shape, most), shape);
        }
    }
    let map: HashMap<u8, ()> = (0..9).map(|it| (it, ())).collect();
    assert_eq!(through(&map, 3), map);
    assert_eq!(through(&vec![(); 1000], 3).len(), 1000);
}

#[test]
fn long_runs_travel_ahead_and_come_back() {
    let count = if cfg!(miri) { 70_017 } else { 3_000_017_u32 };
    let bytes: Vec<u8> = (0..count).map(|it| it as u8).collect();
    let floats: Vec<f64> = (0..count as i32 / 8).map(f64::from).collect();
    let value = (
        1_u8,
        bytes.clone(),
        vec![Some(floats.clone()), None],
        Wrapped(bytes.clone()),
        "é".repeat(100_000),
        serde_bytes::ByteBuf::from(bytes.clone()),
        vec![1_u128 << 100; 9000],
    );
    for most in [4099, usize::MAX] {
        assert_eq!(through(&value, most), value);
    }
    let written = to_bytes(&value).unwrap();
    assert!(written.len() > 3 * bytes.len());
    assert!(from_bytes::<(u8, Vec<u8>)>(&written).is_err());
}

#[test]
#[cfg_attr(miri, ignore = "the times mean nothing there")]
fn a_vector_of_numbers_is_one_copy_on_both_sides() {
    /// A number that counts how often it is read by itself.
    fn reading_time(bytes: &[u8]) -> Duration {
        let start = std::time::Instant::now();
        let numbers: Vec<u8> = from_bytes(bytes).unwrap();
        assert_eq!(numbers.len(), 4 << 20);
        start.elapsed()
    }
    let numbers = vec![3_u8; 4 << 20];
    let whole = to_bytes(&numbers).unwrap();
    // The same elements, as a sequence that is not a run.
    let mut single = vec![];
    let head = numbers.len() as u32 + 3;
    single.extend(to_bytes(&head).unwrap());
    single.extend(&numbers);
    let (fast, slow) = (reading_time(&whole), reading_time(&single));
    assert!(fast * 2 < slow, "{fast:?} as a run, {slow:?} one by one");
}

#[test]
fn a_run_can_be_read_as_another_sequence() {
    let bytes = to_bytes(&vec![1_u8, 2, 3]).unwrap();
    let list: std::collections::LinkedList<u8> = from_bytes(&bytes).unwrap();
    assert_eq!(list.into_iter().collect::<Vec<_>>(), [1, 2, 3]);
    let wide: Vec<u64> = from_bytes(&bytes).unwrap();
    assert_eq!(wide, [1, 2, 3]);
    assert!(from_bytes::<Vec<String>>(&bytes).is_err());
}

#[derive(Serialize)]
struct Liar(usize);

impl Liar {
    fn seq<S: serde::Serializer>(it: &Self, to: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeSeq;
        let mut seq = to.serialize_seq(Some(it.0))?;
        seq.serialize_element(&1_u8)?;
        seq.serialize_element(&2_u8)?;
        seq.end()
    }
}

struct Fails(Vec<u8>);

impl Serialize for Fails {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeTuple;
        let mut tuple = to.serialize_tuple(2)?;
        tuple.serialize_element(&self.0)?;
        Err(serde::ser::Error::custom("the second part is a socket"))
    }
}

#[test]
fn a_value_that_cannot_be_written_leaves_the_channel_as_it_was() {
    let mut writer = FrameWriter::new(Memory::new(Vec::new(), 1000));
    for length in [10, 100_000] {
        let error = writer
            .send(Kind::Done, &Fails(vec![1; length]))
            .unwrap_err();
        let SendError::Codec(error) = error else {
            panic!("{error:?}");
        };
        assert_eq!(error.to_string(), "the second part is a socket");
    }
    writer.send(Kind::Done, &vec![5_u8; 100_000]).unwrap();
    let mut reader = FrameReader::new(Memory::new(written(writer), 1000));
    let frame = reader.next().unwrap().unwrap();
    assert_eq!(frame.value::<Vec<u8>>().unwrap(), vec![5; 100_000]);
    assert!(reader.next().unwrap().is_none());
}

#[test]
fn what_cannot_cross_says_so() {
    #[derive(Serialize, Deserialize, Debug)]
    struct Flat {
        #[serde(flatten)]
        rest: HashMap<String, u8>,
    }
    let flat = Flat {
        rest: HashMap::from([("a".into(), 1)]),
    };
    let bytes = to_bytes(&flat).unwrap();
    let error = from_bytes::<Flat>(&bytes).unwrap_err().to_string();
    assert!(
        error.contains("flatten") && error.contains("JSON"),
        "{error}"
    );

    #[derive(Serialize)]
    struct Skips {
        #[serde(skip_serializing_if = "Option::is_none")]
        field: Option<u8>,
    }
    let error = to_bytes(&Skips { field: None }).unwrap_err().to_string();
    assert!(
        error.contains("`field`") && error.contains("skip_serializing_if"),
        "{error}"
    );

    #[derive(Serialize, Deserialize, Debug)]
    struct OneSided {
        a: u8,
        #[serde(skip_serializing)]
        #[expect(dead_code, reason = "it is never read back")]
        b: u8,
        c: u8,
    }
    let bytes = to_bytes(&OneSided { a: 1, b: 2, c: 3 }).unwrap();
    let error = from_bytes::<OneSided>(&bytes).unwrap_err().to_string();
    assert!(
        error.contains("2 fields") && error.contains("a, b, c"),
        "{error}"
    );

    #[derive(Serialize)]
    struct Lies(#[serde(serialize_with = "Liar::seq")] Liar);
    assert!(to_bytes(&Lies(Liar(1))).is_err());
    assert!(to_bytes(&Lies(Liar(3))).is_err());
    assert!(to_bytes(&Lies(Liar(2))).is_ok());
}

#[derive(Debug, Serialize, Deserialize)]
struct Link(Option<Box<Link>>);

#[test]
fn nesting_has_an_end_on_both_sides() {
    let mut link = Link(None);
    for _ in 0..100 {
        link = Link(Some(Box::new(link)));
    }
    let bytes = to_bytes(&link).unwrap();
    assert!(from_bytes::<Link>(&bytes).is_ok());
    for _ in 0..100 {
        link = Link(Some(Box::new(link)));
    }
    assert!(to_bytes(&link).unwrap_err().to_string().contains("deep"));
    let error =
        from_bytes::<Link>(&vec![1; if cfg!(miri) { 10_000 } else { 10_000_000 }]).unwrap_err();
    assert!(error.to_string().contains("deep"));
}

#[test]
fn a_false_length_gets_no_memory() {
    // A frame, a run ahead, a text, a vector and a run in place that claim what never comes.
    for kind in [Kind::Done, Kind::Blob] {
        let mut bytes = vec![kind as u8];
        bytes.extend((1_u64 << 40).to_le_bytes());
        bytes.extend([1; 100]);
        let mut reader = FrameReader::new(Memory::new(bytes, 10));
        assert!(matches!(reader.next().unwrap_err(), FrameError::Cut));
    }
    for length in [1_u64 << 63, u64::MAX] {
        let mut bytes = vec![Kind::Done as u8];
        bytes.extend(length.to_le_bytes());
        let mut reader = FrameReader::new(Memory::new(bytes, 10));
        let error = reader.next().unwrap_err();
        assert!(matches!(error, FrameError::Length(..)), "{error}");
    }
    let claim = to_bytes(&(1_u64 << 40)).unwrap();
    assert!(from_bytes::<String>(&claim).is_err());
    assert!(from_bytes::<Vec<String>>(&claim).is_err());
    assert!(from_bytes::<Vec<()>>(&claim).is_err());
    assert!(from_bytes::<HashMap<u8, u8>>(&claim).is_err());
    let run = [&[1, 10][..], &claim].concat();
    assert!(from_bytes::<Vec<f64>>(&run).is_err());
}

#[test]
fn a_short_run_ahead_is_refused() {
    let mut bytes = vec![Kind::Blob as u8];
    bytes.extend(5_u64.to_le_bytes());
    bytes.extend([1, 0, 0, 0, 0]);
    let mut reader = FrameReader::new(Memory::new(bytes, 100));
    assert!(matches!(
        reader.next().unwrap_err(),
        FrameError::Length(1, 5)
    ));
}

#[test]
fn every_kind_has_its_byte() {
    for kind in Kind::ALL {
        let mut writer = FrameWriter::new(Memory::new(Vec::new(), 100));
        if matches!(kind, Kind::Blob | Kind::Discard) {
            continue;
        }
        writer.bytes(b"body");
        writer.end(*kind).unwrap();
        let mut reader = FrameReader::new(Memory::new(written(writer), 100));
        let frame = reader.next().unwrap().unwrap();
        assert_eq!((frame.kind, frame.body()), (*kind, &b"body"[..]));
    }
    let mut reader = FrameReader::new(Memory::new(vec![200; 20], 100));
    assert!(matches!(reader.next().unwrap_err(), FrameError::Kind(200)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 8 } else { 2000 }))]

    #[test]
    fn random_bytes_are_an_error_or_a_value(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = from_bytes::<Everything>(&bytes);
        let _ = from_bytes::<Vec<Shape>>(&bytes);
        let _ = from_bytes::<Vec<f64>>(&bytes);
        let mut reader = FrameReader::new(Memory::new(bytes, 50));
        while let Ok(Some(frame)) = reader.next() {
            let _ = frame.value::<Everything>();
        }
    }

    #[test]
    fn a_changed_byte_is_an_error_or_a_value(at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let mut bytes = to_bytes(&full()).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = to;
        let _ = from_bytes::<Everything>(&bytes);
    }

    #[test]
    fn a_cut_stream_is_an_error(most in 1_usize..5000, cut in any::<prop::sample::Index>()) {
        let mut writer = FrameWriter::new(Memory::new(Vec::new(), most));
        writer.send(Kind::Done, &(vec![1_u8; 40_000], "text")).unwrap();
        let mut bytes = written(writer);
        let end = cut.index(bytes.len() - 1) + 1;
        bytes.truncate(end);
        let mut reader = FrameReader::new(Memory::new(bytes, most));
        prop_assert!(matches!(reader.next(), Err(FrameError::Cut) | Ok(None)));
    }

    #[test]
    fn vectors_come_back(a in any::<Vec<i16>>(), b in any::<Vec<u64>>(), c in any::<Option<Vec<u8>>>(), most in 1_usize..99) {
        let value = (a, b, c);
        prop_assert_eq!(through(&value, most), value);
    }
}
