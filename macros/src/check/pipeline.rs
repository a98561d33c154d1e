use super::foreach::{Input, work};
use crate::error::Errors;
use crate::model::{Call, Pipeline, Stage, StageKind, Work};
use crate::parse::Form;

pub(crate) fn pipeline(call: Pipeline<Call>, errors: &mut Errors) -> Option<Pipeline<Work>> {
    let Pipeline {
        krate,
        source,
        stages,
        mut complete,
    } = call;
    let mut input = Input::of(&source);
    let mut checked = Vec::new();
    for stage in stages {
        let Stage {
            bar,
            word,
            kind,
            suffix,
        } = stage;
        let kind = match kind {
            StageKind::Method(call) => StageKind::Method(call),
            StageKind::Parallel(call) => {
                // Each stage is checked for mistakes, also behind one that has some.
                let work = work(call, Form::Stage, input, errors);
                input = Input::Stream;
                let Some(work) = work else {
                    complete = false;
                    continue;
                };
                StageKind::Parallel(work)
            }
        };
        checked.push(Stage {
            bar,
            word,
            kind,
            suffix,
        });
    }
    complete.then_some(Pipeline {
        krate,
        source,
        stages: checked,
        complete,
    })
}
