// foreach_parallel!(items, journal = "run.jsonl", resume = true, init(db = open()), |x| db.get(x))
