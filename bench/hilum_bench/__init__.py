"""The benchmark of DICOM routers: docs/bench.md. bench/run is its command line.

    machine     what we run on, and which programs of which versions
    network     a namespace of our own, with its own congestion control
    pki         certificates, made for one run
    process     starts programs, pins them, ends them
    tools       the load generator and the sink
    routers     what stands between them: none, HAProxy, nginx, Hilum, Orthanc, DCMTK
    measure     processor time, system calls, memory
    workloads   the rows: what is sent by whom to whom, through what
    sample      one measurement, by the kind of its row
    runner      the rounds, inside the namespace
    peers       bench/stall, which drives DCMTK's programs
    progress    the line that says how long it still takes
    spread      medians, ranges, ratios pair by pair
    figures     what is derived from samples
    targets     what was promised, held against the figures
    report      Markdown;  plots  SVG
"""
