package taskapi.peer;

import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

@RestController
public class HealthController {

    record Health(String status) {
    }

    @GetMapping("/health")
    Health health() {
        return new Health("ok");
    }
}
