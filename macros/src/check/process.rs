//! `start_job!`: a body, a function by its name, or a program.

use proc_macro2::Ident;

use super::job::{Parts, no_inits};
use super::place::{self, BackEnd};
use super::{Clauses, clauses};
use crate::error::{Errors, list};
use crate::model::{Body, Call, CratePath, Host, Named, NamedCall, ProcessJob, Program, Setting};
use crate::parse::Form;

const FORM: Form = Form::ProcessJob;

/// The options that only a program has.
const OF_PROGRAMS: &[&str] = &["file", "args"];

/// The options that a program has with others.
const SHARED: &[&str] = &["name", "env", "current_dir", "timeout", "grace"];

pub(crate) fn process_job(call: Call, errors: &mut Errors) -> Option<ProcessJob> {
    let used = call.used;
    let mut sorted = clauses(call.clauses, &used, FORM, errors);
    let file = sorted.settings.iter().position(|it| it.name == "file");
    let file = file.map(|at| sorted.settings.remove(at));
    let on = sorted.settings.iter().position(|it| it.name == "on");
    let on = on.map(|at| sorted.settings.remove(at));
    let host = on.and_then(|on| cluster(on, &mut sorted, errors));
    let has_using = sorted.using.clone();
    match (call.body, file) {
        (Body::Nothing, file) => {
            let Some(Setting { value: file, .. }) = file else {
                no_args(&mut sorted.settings, errors);
                return None;
            };
            if let Some(Host::Cluster(place)) = &host {
                errors.push(
                    place.option.span(),
                    "a program is started in a process of this machine; start it from a body, with \
                     `std::process::Command`, to have it run elsewhere",
                );
            }
            program(call.krate, file, sorted, errors).map(ProcessJob::Program)
        }
        (body, file) => {
            if let Some(file) = file {
                errors.push(
                    file.name.span(),
                    "`file` starts a program, and this job has a body; leave one of the two out",
                );
            }
            no_args(&mut sorted.settings, errors);
            match body {
                Body::Named(named) => {
                    if let Some(Host::Cluster(place)) = &host {
                        errors.push(
                            place.option.span(),
                            "a function by its name is started in a process of this machine; write \
                             `{ function(..) }` to have it run elsewhere",
                        );
                    }
                    let job = self::named(call.krate, named, has_using, sorted, errors);
                    Some(ProcessJob::Named(job))
                }
                body => {
                    let parts = Parts {
                        krate: call.krate,
                        host: host.unwrap_or(Host::Process),
                        settings: sorted.settings,
                        captures: sorted.captures,
                        inits: sorted.inits,
                    };
                    parts
                        .with(body, FORM, errors)
                        .map(|it| ProcessJob::Body(Box::new(it)))
                }
            }
        }
    }
}

/// The options that a job on another machine has with others.
const OF_CLUSTERS: &[&str] = &["name", "timeout"];

/// Where a job runs that has `on = ..`: it is for clusters alone.
fn cluster(on: Setting, clauses: &mut Clauses, errors: &mut Errors) -> Option<Host> {
    let option = on.name.clone();
    let Some(BackEnd::Cluster(place)) = place::job_end(on, errors)? else {
        errors.push(
            option.span(),
            "`on` of a job is for clusters; write `on = cluster(&cluster)`, leave it out for a process of this \
             machine, or write `start_thread_job!` for a thread",
        );
        return None;
    };
    clauses.settings.retain(|setting| {
        let fits = OF_CLUSTERS.iter().any(|it| setting.name == it)
            || OF_PROGRAMS.iter().any(|it| setting.name == it);
        if !fits {
            errors.push(
                setting.name.span(),
                format_args!(
                    "`{}` is for a process of this machine; a job on a cluster has {}",
                    setting.name,
                    list(&["name", "timeout", "on"])
                ),
            );
        }
        fits
    });
    Some(Host::Cluster(Box::new(place)))
}

fn no_args(settings: &mut Vec<Setting>, errors: &mut Errors) {
    settings.retain(|setting| {
        let stray = setting.name == "args";
        if stray {
            errors.push(
                setting.name.span(),
                "`args` are those of a program; write `file = \"program\"` in front of them",
            );
        }
        !stray
    });
}

/// A call of a function has its own arguments, which may be any expressions.
fn named(
    krate: CratePath,
    call: NamedCall,
    using: Option<Ident>,
    clauses: Clauses,
    errors: &mut Errors,
) -> Named {
    if let Some(using) = using {
        errors.push(
            using.span(),
            "a function is given what it needs as arguments; leave `using(..)` out",
        );
    }
    no_inits(&clauses.inits, FORM, errors);
    Named {
        krate,
        settings: clauses.settings,
        call,
    }
}

fn program(
    krate: CratePath,
    file: proc_macro2::TokenStream,
    clauses: Clauses,
    errors: &mut Errors,
) -> Option<Program> {
    let mut settings = clauses.settings;
    settings.retain(|setting| {
        let name = setting.name.to_string();
        let fits = OF_PROGRAMS.contains(&name.as_str()) || SHARED.contains(&name.as_str());
        if !fits {
            let options: Vec<&str> = OF_PROGRAMS.iter().chain(SHARED).copied().collect();
            errors.push(
                setting.name.span(),
                format_args!(
                    "`{name}` is for a body, which sets the limit before it starts; a program has \
                     {}",
                    list(&options)
                ),
            );
        }
        fits
    });
    if let Some(using) = clauses.using {
        errors.push(
            using.span(),
            "a program has no body to use this in; pass it in `args` or `env`",
        );
    }
    no_inits(&clauses.inits, FORM, errors);
    Some(Program {
        krate,
        file,
        settings,
    })
}
