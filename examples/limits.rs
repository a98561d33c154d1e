//! Calling a service that is slow, busy or silent: time limits, further tries, an early end.
//!
//! ```text
//! $ cargo run --release --example limits
//! first to answer: quick
//! 29 done in 2.1s, 1 failed
//!   1 x was given up after its timeout (item 13)
//! slowest: item 13 (500.8ms), item 2 (967.2µs), item 0 (831.6µs)
//! item 7 was answered on try 3
//! 40 of 41 answered, 1 took 20 times as long as usual
//! 300 answered, as many at once as did best
//! deadline: 6 answered, 4 cut off while they ran, more not begun
//! ```

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use runspace::{Cause, Halt, Retry, Throttle, Timeout, foreach_parallel};

const MS: Duration = Duration::from_millis(1);

fn main() -> io::Result<()> {
    let service = serve()?;
    race(service);
    requests(service);
    median(service);
    auto(service);
    deadline(service);
    Ok(())
}

/// The same question to three mirrors: the first answer wins, the others are stopped.
fn race(service: SocketAddr) {
    let mirrors = ["silent", "slow", "quick"];
    let first = foreach_parallel!(
        mirrors,
        halt = Halt::now().success(1),
        using(service),
        |mirror| ask(service, mirror)
    )
    .find_map(Result::ok);
    println!("first to answer: {}", first.as_deref().unwrap_or("none"));
}

/// Thirty requests, at most four at once whoever else calls the service, and no faster than two hundred a
/// second. One is never answered, some are refused at first.
fn requests(service: SocketAddr) {
    let mut answers = foreach_parallel!(
        0..30,
        throttle = Throttle::named("service", 4),
        rate = 200.per_second(),
        timeout = 500 * MS,
        retry = Retry::exponential(3, 5 * MS),
        retry_if = |answer| matches!(answer, Err(error) if error == "busy"),
        using(service),
        |n: u32| {
            let question = match n {
                13 => "silent",
                _ if n.is_multiple_of(7) && runspace::attempt() < 3 => "busy",
                _ => "quick",
            };
            ask(service, question).map(|_| (n, runspace::attempt()))
        }
    );
    let report = answers.report();
    let mut tries = None;
    for answer in answers.outcomes().flatten() {
        match answer {
            Ok((7, attempt)) => tries = Some(attempt),
            Ok(_) => {}
            Err(error) => report.add(&error),
        }
    }
    println!("{report}");
    if let Some(tries) = tries {
        println!("item 7 was answered on try {tries}");
    }
}

/// How long an answer takes nobody knows beforehand; twenty times as long as usual is too long.
fn median(service: SocketAddr) {
    let limit = Timeout::median(20.0).at_least(1_000 * MS);
    let outcomes = foreach_parallel!(0..41, timeout = limit, using(service), |n: u32| {
        ask(service, if n == 30 { "silent" } else { "quick" })
    })
    .outcomes();
    let (answered, late): (Vec<_>, Vec<_>) = outcomes.partition(Result::is_ok);
    let late = late.iter().flat_map(|it| it.as_ref().err());
    let late = late.filter(|it| matches!(it.cause(), Cause::TimedOut(_)));
    println!(
        "{} of 41 answered, {} took 20 times as long as usual",
        answered.len(),
        late.count()
    );
}

/// How many at once the service takes best nobody knows either: that is tried, from one for each core on.
fn auto(service: SocketAddr) {
    let answers = foreach_parallel!(
        0..300,
        throttle = Throttle::auto_at_most(32),
        using(service),
        |_: u32| ask(service, "quick")
    );
    let answered = answers.filter(Result::is_ok).count();
    println!("{answered} answered, as many at once as did best");
}

/// What can be had in a second.
fn deadline(service: SocketAddr) {
    let (mut answered, mut cut_off, mut more) = (0, 0, false);
    let outcomes = foreach_parallel!(
        0..,
        throttle = 4,
        deadline = 1_000 * MS,
        using(service),
        |n: u32| ask(service, if n < 6 { "quick" } else { "silent" })
    );
    for outcome in outcomes.outcomes() {
        match outcome.map_err(|error| (error.index(), error.into_cause())) {
            Ok(_) => answered += 1,
            Err((Some(_), Cause::DeadlinePassed { started: true, .. })) => cut_off += 1,
            Err((_, Cause::DeadlinePassed { .. })) => more = true,
            Err((_, cause)) => println!("unexpected: {cause:?}"),
        }
    }
    let more = if more { ", more not begun" } else { "" };
    println!("deadline: {answered} answered, {cut_off} cut off while they ran{more}");
}

/// Asks the service, and looks up now and then whether the answer is still wanted.
fn ask(service: SocketAddr, question: &str) -> Result<String, String> {
    let answer = || -> io::Result<String> {
        let mut stream = TcpStream::connect(service)?;
        stream.set_read_timeout(Some(5 * MS))?;
        writeln!(stream, "{question}")?;
        let mut answer = Vec::new();
        let mut part = [0; 64];
        loop {
            match stream.read(&mut part) {
                Ok(0) => return Ok(String::from_utf8_lossy(&answer).into_owned()),
                Ok(count) => answer.extend(&part[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if runspace::stopping() {
                        return Err(io::Error::other("no longer wanted"));
                    }
                }
                Err(error) => return Err(error),
            }
        }
    };
    match answer().map_err(|error| error.to_string())?.as_str() {
        "busy" => Err("busy".to_owned()),
        answer => Ok(answer.to_owned()),
    }
}

/// A service on this machine that answers with the question, in its own time.
fn serve() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(stream));
        }
    });
    Ok(address)
}

fn answer(mut stream: TcpStream) -> io::Result<()> {
    let mut question = Vec::new();
    let mut part = [0; 64];
    while !question.ends_with(b"\n") {
        let count = stream.read(&mut part)?;
        if count == 0 {
            return Ok(());
        }
        question.extend(&part[..count]);
    }
    match question.trim_ascii_end() {
        b"silent" => thread::sleep(Duration::from_secs(3600)),
        b"slow" => thread::sleep(Duration::from_secs(2)),
        _ => {}
    }
    stream.write_all(question.trim_ascii_end())
}
