// Shared step: def decision = opsverify(stage: 'prod-canary', target: 'production', window: '20m')
// Returns 'pass' or 'fail'. A hold asks a person, whose name is in the log; without an answer in time the build aborts.
def call(Map given) {
    def stageName = given.stage
    def run = "reports/gate-${env.BUILD_NUMBER}-${stageName}"
    def window = given.window ? "--window ${given.window}" : ''
    int code
    try {
        code = sh(
            script: "opsverify verify ${stageName} --target ${given.target} ${window} --report-dir ${run} --color=no",
            returnStatus: true
        )
    } finally {
        archiveArtifacts artifacts: "${run}/**", allowEmptyArchive: true
    }
    switch (code) {
        case 0:
            return 'pass'
        case 1:
            return 'fail'
        default:
            timeout(time: 4, unit: 'HOURS') {
                def who = input(
                    message: "opsverify ${stageName} on ${given.target}: hold (exit ${code}). Release anyway?",
                    submitterParameter: 'who', parameters: [string(name: 'why', description: 'reason')]
                )
                echo "hold released: ${who}"
            }
            return 'pass'
    }
}
